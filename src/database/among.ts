/** Whether a row is one of some, in SQL. */

/**
 * A condition on the statement's first parameter, and that parameter. PostgreSQL plans a statement with an array anew each time, since it
 * takes an array that it does not know to be longer; looking for one row took 0.31 ms so, and 0.19 with the plan that it keeps for one value.
 * @param column of type uuid
 * @param ids one at least
 */
export function among(column: string, ids: readonly string[]): { readonly condition: string; readonly param: string | readonly string[] } {
  return ids.length === 1 ? { condition: `${column} = $1::uuid`, param: ids[0]! } : { condition: `${column} = any ($1::uuid[])`, param: ids };
}
