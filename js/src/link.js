/** A link: one attempt to follow the log over one way, from its first byte to its end. */

import { HexcastError } from "./requests.js";

export const AGAIN = Symbol(); // ended by us: go on from the cursor at once
export const CLIMB = Symbol(); // ended by us: try a better way
export const END = Symbol(); // the topic has ended

export class Link {
  _adding = 0; // subscriptions whose records may come before what is older
  _stop = new AbortController();
  _signal = this._stop.signal;

  constructor(level, way) {
    this._level = level;
    this._way = way;
  }

  get _over() { return this._signal.aborted; }

  /** In `ms` from now, unless it is armed again before, does `then`, or ends. Without `ms`: never. */
  _arm(ms, then = () => this._end(new HexcastError("silence", { _down: true }))) {
    clearTimeout(this._timer);
    this._heard = Date.now();
    if (ms && !this._over) this._timer = setTimeout(then, ms);
  }

  _end(reason = AGAIN) {
    this._stop.abort(reason);
    this._arm();
    clearTimeout(this._climber);
  }
}
