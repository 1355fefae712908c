/**
 * Which attributes a published value may set, and to what: not what could run script, load code,
 * restyle the page or lead the binding elsewhere. Guards such as `sandbox` need no line: the elements
 * that have them are left alone as a whole.
 */

const NEVER = /^(on|xmlns)|^(style|srcdoc|slot|data-(topic|part|attr|html))$|[^\w.:-]|^[^a-z_]/i;
const CODE = /^(script|base|link|meta|object|embed|applet|i?frame|portal|template|style|set|animate.*)$/;
const OPAQUE = /^(html|head|body|frameset|no(frames|embed|script)|xmp|plaintext)$/;
const ADDRESS = /^(xlink:href|.*src(set)?|(form)?action|href|poster|cite|data|background|ping)$/i;
const FOREIGN = /^(?!https?:|mailto:|tel:|data:image\/(png|gif|jpeg|webp|avif)[;,])[a-z][a-z\d+.-]*:/i;

/** Whether values may set an attribute of an element, or its content where no name is given. */
export const settable = (tag, name) => !CODE.test(tag) && !(name ? NEVER : OPAQUE).test(name || tag);

/** Whether an attribute is not to lead there. A URL's controls are dropped as by URL Standard, 4.4. */
export const foreign = (name, value) => ADDRESS.test(name) && value.replace(/[\t\n\r]/g, "")
  .split(/set$/i.test(name) ? "," : /$^/).some((address) => FOREIGN.test(address.replace(/^[\0- ]+/, "")));
