/** A part of pg that its own types leave out. */
declare module 'pg/lib/utils.js' {
  const utils: {
    /** As what a value is sent to the server; throws when it cannot be, e.g. for an object that holds itself. */
    prepareValue(value: unknown): unknown;
  };
  export default utils;
}
