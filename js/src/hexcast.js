/*! Hexcast, MIT licence; written in js/src */
// The module as it is served, in parts. `make js` puts them together as ../hexcast.js.

export { Hexcast } from "./client.js";
export { bind } from "./elements.js";
export { HexcastError } from "./requests.js";
