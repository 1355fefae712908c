/*! Hexcast, MIT */
// The module as it is served, in parts. `make js` puts them together as ../hexcast.js.

export { bind } from "./elements.js";
export { Hexcast } from "./client.js";
export { HexcastError } from "./requests.js";
