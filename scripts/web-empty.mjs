/** Stands in for a package that the page does not need. */
export const nothing = undefined
