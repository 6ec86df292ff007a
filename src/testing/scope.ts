/** The part of tap's test object that is needed here. */
export interface TestScope {
  teardown(action: () => Promise<void> | void): void;
}
