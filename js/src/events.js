/**
 * Reads text/event-stream (WHATWG HTML, 9.2.6) as the server writes it in the json format, in which
 * all data is one line. Pure.
 */

import { HexcastError } from "./requests.js";

const MOST = 2 ** 24; // characters of one event

/** Gives a function that takes the stream piece by piece and gives each piece's complete events. */
export function events(most = MOST) {
  let rest = "", event = {};
  return (piece) => {
    const found = [], lines = (rest + piece).split(/\r?\n/);
    rest = lines.pop();
    for (const line of lines) {
      const [, field, value] = /^([^:]*):? ?(.*)/.exec(line);
      if (!line) {
        if (event.data) found.push(event);
        event = {};
      } else if (field == "retry") found.push({ retry: +value });
      else event[field] = value;
    }
    if (rest.length > most) throw new HexcastError("too large");
    return found;
  };
}
