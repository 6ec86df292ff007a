/** The generated documentation: right about the shop, and the same at each run. */
import t from 'tap';
import { Ajv } from 'ajv';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { kernelErrors } from '../../contract/errors.ts';
import { discoverModules, projectRoot } from '../../host/discover.ts';
import { platform } from '../../host/platform.ts';
import { complaintsOfRedocly } from '../redocly.testing.ts';
import { asyncapiDocument } from './asyncapi.ts';
import { envelopeOf, envelopeSchema } from './envelope.ts';
import { generateDocs, outdated } from './generated.ts';
import { moduleGraph } from './graph.ts';
import { eventsOf, readModel } from './model.ts';
import { readmeWithPicture } from './readme.ts';

interface Document {
  readonly channels: Record<string, { address: string }>;
  readonly operations: Record<string, { action: string; title: string }>;
}

const model = await readModel(projectRoot);
const modules = await discoverModules();

t.test('docs/errors.md has every code of every catalogue and no other', async (t) => {
  const page = readFileSync(join(projectRoot, 'docs/errors.md'), 'utf8');
  const documented = [...page.matchAll(/^\| `([A-Z][A-Z0-9_]+)` \| (\d+) \|/gm)].map(([, code, status]) => `${code} ${status}`);
  const catalogues = [kernelErrors, platform.errors, ...modules.map(({ contract }) => contract.errors)];
  const existing = catalogues.flatMap((errors) => Object.entries(errors).map(([code, { status }]) => `${code} ${status}`));
  t.same(documented.toSorted(), existing.toSorted());
});

t.test('the AsyncAPI document is clean by the recommended rules', async (t) => {
  t.same(await complaintsOfRedocly(t, JSON.parse(asyncapiDocument(model))), []);
});

t.test('it knows every event with its publisher and its subscribers', async (t) => {
  const { channels, operations } = JSON.parse(asyncapiDocument(model)) as Document;
  const types = modules.flatMap(({ contract }) => eventsOf(contract).map(([, { type }]) => type));
  t.same(Object.values(channels).map(({ address }) => address).toSorted(), types.toSorted());
  const titles = Object.values(operations).map(({ action, title }) => `${action}: ${title}`);
  const publishing = modules.flatMap(({ contract }) => eventsOf(contract).map(([, { type }]) => `send: ${contract.name} publishes ${type}`));
  const handling = model.modules.flatMap(({ name, handles }) => handles.map((type) => `receive: ${name} handles ${type}`));
  t.same(titles.toSorted(), [...publishing, ...handling].toSorted());
});

t.test('whoever consumes a contract is shown as handling an event of it', async (t) => {
  for (const { contract, consumes } of modules) {
    const handled = model.modules.find(({ name }) => name === contract.name)!.handles;
    const publishers = new Set(handled.map((type) => type.split('.')[0]!).filter((publisher) => publisher !== contract.name));
    t.same([...publishers].toSorted(), Object.values(consumes).map(({ name }) => name).toSorted(), contract.name);
  }
});

t.test('what a module publishes is handled by itself only where it says on(…), and is no arrow then', async (t) => {
  const published = model.modules.flatMap(({ name, contract, handles }) => eventsOf(contract).map(([, { type }]) => ({ name, own: handles.includes(type) })));
  t.ok(published.some(({ own }) => own));
  t.ok(published.some(({ own }) => !own));
  t.notMatch(moduleGraph(model), /^ *(\w+) -\.-> \1$/m);
});

t.test('each example of an event is one by its schema', async (t) => {
  const ajv = new Ajv({ strict: false });
  for (const [, event] of modules.flatMap(({ contract }) => eventsOf(contract))) {
    t.ok(ajv.validate(envelopeSchema(event), envelopeOf(event)), `${event.type} ${ajv.errorsText()}`);
  }
});

t.test('two runs write the same', async (t) => {
  t.same([...(await generateDocs(projectRoot))], [...(await generateDocs(projectRoot))]);
});

t.test('a file that was edited by hand is found, with the line and what to do', async (t) => {
  const generated = await generateDocs(projectRoot);
  const root = t.testdir({ docs: { 'modules.md': generated.get('docs/modules.md')!.replace('# Modules', '# My modules') } });
  const [first] = outdated(root, new Map([['docs/modules.md', generated.get('docs/modules.md')!]]));
  t.equal(first, 'docs/modules.md:3  is not what the contracts say any more: run npm run docs and commit the result');
});

t.test('a README without the place for the picture is refused', async (t) => {
  t.throws(() => readmeWithPicture('# Cleave\n', model), /put them where the picture of the modules goes/);
});
