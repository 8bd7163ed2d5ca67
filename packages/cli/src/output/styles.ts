import colors from "picocolors";

// A module of its own, for it looks at Node's streams when it is loaded: nothing does that but what is coloured.
const { bold, dim, red, yellow, green, cyan } = colors.createColors(true);

/** How text is marked on a terminal. */
export const STYLES = { bold, dim, red, yellow, green, cyan };
