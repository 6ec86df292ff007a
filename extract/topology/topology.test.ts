import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { StartError } from '../../src/settings/start-error.ts';
import { parseTopology, readTopology, shippedTopologies } from './read-topology.ts';
import { internalOrigins, publicOrigins } from './topology.ts';

const MODULES = (await readdir(join(import.meta.dirname, '..', '..', 'modules'))).sort();
const SHIPPED = ['microservices', 'monolith', 'payments-out', 'replicated', 'three-out'];

/** Three modules are enough to make mistakes with. */
const shop = ['books', 'loans', 'fines'];

/** What a file is refused with, but for its name and the remedy. */
function refusal(text: string): string[] {
  try {
    parseTopology(text, 'mine.yaml', shop);
    return [];
  } catch (error) {
    if (!(error instanceof StartError)) throw error;
    const [first, ...lines] = error.message.split('\n');
    t.equal(first, 'the topology mine.yaml cannot be used:');
    t.equal(error.remedy, 'Mend these lines.');
    return lines.map((line) => line.trim());
  }
}

const sound = `name: mine
gateway:
  port: 8080
services:
  library:
    modules: [books, loans]
    port: 8100
    internalPort: 9100
  fines:
    modules: [fines]
    port: 8110
    internalPort: 9110
`;

void t.test('the topologies that ship can be used, and place every module', async (t) => {
  t.strictSame(await shippedTopologies(), SHIPPED);
  for (const name of SHIPPED) {
    const topology = await readTopology(name, MODULES);
    t.equal(topology.name, name);
    t.strictSame(topology.services.flatMap(({ modules }) => modules).sort(), MODULES, name);
  }
});

void t.test('what the file leaves out is filled in', async (t) => {
  const topology = parseTopology(sound.replace('    internalPort: 9110', '    internalPort: 9110\n    replicas: 2'), 'mine.yaml', shop);
  t.strictSame(topology.services[0], { name: 'library', modules: ['books', 'loans'], replicas: [{ host: '127.0.0.1', port: 8100, internalPort: 9100 }], database: 'cleave_mine_library' });
  t.strictSame(internalOrigins(topology)['fines'], ['http://127.0.0.1:9110', 'http://127.0.0.1:9111']);
  t.strictSame(publicOrigins(topology)['books'], ['http://127.0.0.1:8100']);
});

void t.test('hosts are addresses of either kind, or names', async (t) => {
  const topology = parseTopology(sound.replace('    port: 8110', '    port: 8110\n    host: "::1"').replace('    port: 8100', '    port: 8100\n    host: library.internal'), 'mine.yaml', shop);
  t.strictSame(internalOrigins(topology)['fines'], ['http://[::1]:9110']);
  t.strictSame(publicOrigins(topology)['books'], ['http://library.internal:8100']);
});

void t.test('each mistake is refused with its line', async (t) => {
  const mistakes: Record<string, { text: string; said: string[] }> = {
    'an unknown module': { text: sound.replace('[fines]', '[fines, lones]'), said: ['mine.yaml:10  there is no module lones; there are books, loans, fines'] },
    'a module twice': { text: sound.replace('[fines]', '[fines, loans]'), said: ['mine.yaml:10  loans runs in library and in fines: a module runs in one service'] },
    'a module nowhere': { text: sound.replace('[books, loans]', '[books]'), said: ['mine.yaml:4  loans runs nowhere: put it into a service'] },
    'a missing internal address': { text: sound.replace('    internalPort: 9110\n', ''), said: ['mine.yaml:9  fines lacks internalPort: other services must reach it'] },
    'a missing address': { text: sound.replace('    port: 8110\n', ''), said: ['mine.yaml:9  services.fines lacks port'] },
    'an unknown property': { text: sound.replace('    port: 8110', '    prot: 8110\n    port: 8110'), said: ['mine.yaml:11  services.fines has no property prot; it has modules, host, port, internalPort, replicas, database'] },
    'an unknown property of the whole': { text: `${sound}gatway: 1\n`, said: ['mine.yaml:13  the topology has no property gatway; it has name, summary, gateway, discovery, registry, events, services'] },
    'a port used twice': { text: sound.replace('port: 8110', 'port: 8080'), said: ['mine.yaml:11  fines and the gateway share the address 127.0.0.1:8080'] },
    'a port of replicas used twice': { text: sound.replace('9100', '8111').replace('port: 8110', 'port: 8110\n    replicas: 2'), said: ['mine.yaml:11  fines and library share the address 127.0.0.1:8111'] },
    'ports that there are not': { text: sound.replace('8110', '65535\n    replicas: 2'), said: ['mine.yaml:11  the last replica of fines would listen on 65536, but ports end at 65535'] },
    'no gateway': { text: sound.replace('gateway:\n  port: 8080\n', ''), said: ['mine.yaml:2  several services need a gateway: add gateway with its port'] },
    'a port that is none': { text: sound.replace('8110', 'eighty'), said: ['mine.yaml:11  services.fines.port must be integer'] },
    'a name that is none': { text: sound.replace('name: mine', 'name: My Shop'), said: ['mine.yaml:1  name is "My Shop", but must be lower-case letters, digits and dashes'] },
    'an unknown discovery': { text: `${sound}discovery: gossip\n`, said: ['mine.yaml:13  discovery is "gossip", but must be one of static, dns, registry'] },
    'a registry that is nowhere': { text: `${sound}discovery: registry\n`, said: ['mine.yaml:13  discovery by registry needs a registry with its port'] },
    'a port that nobody learns': { text: sound.replace('port: 8110', 'port: 0'), said: ['mine.yaml:11  fines takes any free port, and nobody learns which: give it one, or use discovery: registry'] },
    'replicas that DNS counts': { text: `${sound}    replicas: 2\ndiscovery: dns\n`, said: ['mine.yaml:13  fines has as many replicas as its host name has addresses: leave replicas out'] },
    'not YAML': { text: sound.replace('[fines]', '[fines'), said: ['mine.yaml:11  Flow sequence in block collection must be sufficiently indented and end with a ]', 'mine.yaml:11  Nested mappings are not allowed in compact mappings', 'mine.yaml:11  Implicit keys need to be on a single line'] },
    'the same property twice': { text: sound.replace('    port: 8110', '    port: 8110\n    port: 8111'), said: ['mine.yaml:12  Map keys must be unique'] },
    'a text': { text: 'services\n', said: ['mine.yaml:1  the topology must be object'] },
    'nothing': { text: '', said: ['mine.yaml:1  the topology must be object'] },
  };
  for (const [what, { text, said }] of Object.entries(mistakes)) t.strictSame(refusal(text), said, what);
});

void t.test('all mistakes are named at once, in the order of their lines', async (t) => {
  t.strictSame(refusal(sound.replace('[fines]', '[finds]').replace('8110', '8100')), [
    'mine.yaml:4  fines runs nowhere: put it into a service',
    'mine.yaml:10  there is no module finds; there are books, loans, fines',
    'mine.yaml:11  fines and library share the address 127.0.0.1:8100',
  ]);
});

void t.test('with a registry ports may be any that are free', async (t) => {
  const text = `${sound.replaceAll(/(port|internalPort): (81|91)\d\d/gi, '$1: 0')}    replicas: 2\ndiscovery: registry\nregistry:\n  port: 8090\n`;
  t.strictSame(parseTopology(text, 'mine.yaml', shop).services[1]!.replicas, [{ host: '127.0.0.1', port: 0, internalPort: 0 }, { host: '127.0.0.1', port: 0, internalPort: 0 }]);
});

void t.test('a topology that is not there: those that ship are listed', async (t) => {
  await t.rejects(readTopology('microservice', MODULES), { message: 'there is no topology microservice', remedy: `Name a YAML file, or one of those that ship: ${SHIPPED.join(', ')}.` });
  await t.rejects(readTopology('./none.yaml', MODULES), { message: 'there is no topology ./none.yaml' });
  await t.rejects(readTopology('./', MODULES), { message: /^the topology \.\/ cannot be read: EISDIR/, remedy: 'Name a file that can be read.' });
});
