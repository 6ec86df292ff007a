/**
 * Points at which a test may stop, delay or kill the process. Production code names them and passes by:
 * without a probe a point costs one comparison.
 *
 * saga:<name>:<step>:<at>        at = before | effected | settled
 * saga:<name>:undo:<step>:<at>   at = before | effected | settled
 * event:<subscriber>:<type>:<at> at = before | loaded | applied | committed
 */
export type Probe = (point: string) => Promise<void> | void;
