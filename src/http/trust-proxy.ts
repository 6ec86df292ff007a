/** Whose word on the client's address is taken. */

type TrustProxy = boolean | string | ((address: string, hop: number) => boolean);

/** @param setting `true`, `false`, the number of proxies in front, or their addresses separated by commas */
export function trustProxyOf(setting: string): TrustProxy {
  if (setting === 'true' || setting === 'false') return setting === 'true';
  if (!/^[0-9]+$/.test(setting)) return setting;
  const proxies = Number(setting);
  return (_address, hop) => hop < proxies;
}
