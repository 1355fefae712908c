/** Keeps a page current over the best way that works where it is. */

export type Way = "websocket" | "sse" | "long-poll" | "poll";

/** A JSON value; text as a string; octets as `{base64}`. */
export type Value = unknown;

/** One accepted change. A state's carries its full value, as `put`, whatever was sent for it. */
export interface HexcastRecord {
  id: string;
  topic: string;
  op: "post" | "put" | "delete";
  event?: string;
  type?: string;
  /** RFC 3339, UTC, in milliseconds. */
  time: string;
  data?: Value;
  end?: true;
}

/** Records of these streams after one id and before another are no longer held. */
export interface Gap {
  after: string;
  before: string;
  topics: string[];
}

export interface Options {
  /** The ways to try, best first. Default: websocket, sse, long-poll, poll. */
  ways?: Way[];
  /** More topics and patterns. */
  topics?: string[];
  /** A cursor to go on from: an id, `earliest` or `now`. */
  since?: string;
  /** Without a cursor: this many of each stream's newest records first. */
  last?: number;
  /** Flushes a second at most; states fold. */
  rate?: number;
  /** Receive only what changed of a state (default); records always have the full value. */
  delta?: boolean;
  /** Ms for the first byte, and for any answer that is due (3000). */
  patience?: number;
  /** Ms without a heartbeat of an event stream (18000); half of it until a WebSocket is asked. */
  silence?: number;
  /** Ms between polls (5000; at least 60000 while the page is hidden). */
  every?: number;
  /** Ms until better ways are tried again (15000), doubled each time, at most ten minutes. */
  climb?: number;
  /** Ms that the first retry takes at most (500), doubled each time, at most 30 s; drawn at random. */
  backoff?: number;
  /** Entries that an iterator buffers (1000). States fold in it; else the reading pauses. */
  buffer?: number;
  /** Numbers that JavaScript writes differently keep their text, as `JSON.rawJSON` objects. */
  exact?: boolean;
  /** A bearer token; asked for again when one is refused or has expired. */
  getToken?: () => string | Promise<string>;
  credentials?: RequestCredentials;
}

export interface PublishOptions {
  event?: string;
  /** The topic's last record for now. */
  end?: boolean;
  /** The content type, where the one that follows from the data is not meant. */
  type?: string;
  /** Such as `If-Match`, or an `Idempotency-Key` of one's own (one is made for each call). */
  headers?: Record<string, string>;
  /** Ms after which it is not tried again (15000). */
  timeout?: number;
}

export interface Published {
  id: string;
  topic: string;
  changed: boolean;
}

/** What went wrong, as the server's problem document says it; `status` is 0 where no answer came. */
export class HexcastError extends Error {
  status: number;
  title: string;
  detail?: string;
  /** Whether the client has given up. */
  fatal: boolean;
  /** Ms that the server asked to wait. */
  retry?: number;
}

export interface HexcastEvents {
  record: CustomEvent<HexcastRecord>;
  gap: CustomEvent<Gap>;
  /** A token has expired or was refused; `getToken` is asked next. */
  expired: CustomEvent<HexcastError>;
  /** A try has failed; unless it is fatal, another follows. */
  error: CustomEvent<HexcastError>;
  way: CustomEvent<Way>;
  state: CustomEvent<State>;
}

/** `ended`: the one topic has sent its last record; `closed`: by `close()` or a fatal error. */
export type State = "connecting" | "live" | "waiting" | "ended" | "closed";

export class Hexcast extends EventTarget {
  /**
   * Follows `/topics/TOPIC`, `/topics/PATTERN`, or `/topics?topic=A&topic=B`; other parameters of the
   * URL are options. Raises TypeError for a URL that is not under `/topics`.
   */
  constructor(url: string | URL, options?: Options);
  /** Everything up to here has come. */
  readonly cursor: string | undefined;
  /** The way in use, or the last that was. */
  readonly way: Way | "";
  readonly state: State;
  /** The names and patterns that are followed. */
  readonly topics: string[];
  /** The newest value. */
  get(topic: string): Value;
  /** Follows these too, and brings their values. */
  add(...topics: string[]): void;
  drop(...topics: string[]): void;
  close(): void;
  /** Raises HexcastError. Tried again, with one key, while the outcome is not known. */
  post(topic: string, data: Value, options?: PublishOptions): Promise<Published>;
  put(topic: string, data: Value, options?: PublishOptions): Promise<Published>;
  /** An object is a merge patch, an array a JSON patch, a string is added at the end of a text. */
  patch(topic: string, data: Value, options?: PublishOptions): Promise<Published>;
  /**
   * Records as they come from now on, and gaps in their place. Ends when the client is closed; raises
   * HexcastError where it gave up. Whoever stops reading and does not leave the loop holds up all.
   */
  [Symbol.asyncIterator](): AsyncGenerator<HexcastRecord | ({ op: "gap" } & Gap)>;
  addEventListener<K extends keyof HexcastEvents>(
    type: K, listener: (event: HexcastEvents[K]) => void, options?: boolean | AddEventListenerOptions,
  ): void;
  addEventListener(
    type: string, listener: EventListenerOrEventListenerObject | null, options?: boolean | AddEventListenerOptions,
  ): void;
}

export interface BindOptions extends Options {
  /** Where the topics are; by default beside this module. */
  url?: string | URL;
  /**
   * With `since`: puts back what the author wrote in an element that was filled in and has nothing to
   * show any more, if that is still wanted when it is known.
   */
  own?: (element: HTMLElement, wanted: () => unknown) => Promise<unknown>;
}

/**
 * Keeps the elements under `root` current that have `data-topic`, those that come later too. Its
 * events are dispatched on `root` as well, as `hexcast:record`, `hexcast:gap`, `hexcast:error`…
 */
export function bind(root?: Document | Element | ShadowRoot, options?: BindOptions): Hexcast;
