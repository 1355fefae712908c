/** Those who iterate: each has a bounded buffer in which states fold. And one bell for all who wait. */

export class Readers {
  _waiters = [];
  _queues = new Set();

  /** Something has changed: whoever waits looks again. */
  _tick() {
    for (const go of this._waiters.splice(0)) go();
  }

  _next(ms) {
    return new Promise((go) => {
      this._waiters.push(go);
      if (ms) setTimeout(go, ms);
    });
  }

  /** Whether a reader has no room for one more, or for what no older entry makes way for. */
  _full(most, key) {
    return [...this._queues].some((queue) => queue.size >= most && !queue.has(key));
  }

  _push(key, item) {
    for (const queue of this._queues) {
      queue.delete(key); // the newest has the newest place
      queue.set(key, item);
    }
    this._tick();
  }

  /** Gives what is pushed from now on, until `over` says so or throws. */
  _read(over) {
    const queue = new Map();
    this._queues.add(queue);
    return this._drain(queue, over);
  }

  async *_drain(queue, over) {
    try {
      for (;;) {
        for (const [key, item] of queue) {
          queue.delete(key);
          this._tick();
          yield item;
        }
        if (over()) return;
        if (!queue.size) await this._next();
      }
    } finally {
      this._queues.delete(queue);
      this._tick();
    }
  }
}
