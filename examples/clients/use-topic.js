import { Hexcast } from "/hexcast.js";
import { useEffect, useState } from "react";

/** A topic's newest value, its newest records (at most `keep`), and how it is followed. */
export function useTopic(topic, { keep = 100, ...options } = {}) {
  const [shown, show] = useState({ value: undefined, records: [], state: "connecting", way: "" });
  useEffect(() => {
    const live = new Hexcast(`/topics/${topic}`, options);
    const update = ({ type, detail }) => show((shown) => ({
      value: live.get(topic), state: live.state, way: live.way,
      records: type == "record" ? [...shown.records, detail].slice(-keep) : shown.records,
    }));
    for (const type of ["record", "state", "way"]) live.addEventListener(type, update);
    return () => live.close();
  }, [topic]);
  return shown;
}
