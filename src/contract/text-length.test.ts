/** Lengths are counted in characters, as JSON Schema has them, however seldom they are counted. */
import { Ajv } from 'ajv';
import t from 'tap';
import { countOnlyWhereItMatters } from './text-length.ts';

const plain = new Ajv();
const fast = countOnlyWhereItMatters(new Ajv());

t.test('it agrees with what ajv does by itself, message and all', async (t) => {
  const texts = ['', 'a', 'ab', 'abc', 'abcd', '😀', '😀😀', '😀😀😀', 'a😀', 'a😀b', '😀\ud83d', 'é', 'e\u0301'];
  for (const limits of [{ maxLength: 0 }, { maxLength: 2 }, { minLength: 0 }, { minLength: 1 }, { minLength: 2 }, { minLength: 3 }, { minLength: 2, maxLength: 3 }]) {
    const [expected, found] = [plain, fast].map((engine) => engine.compile({ type: 'string', ...limits }));
    for (const text of texts) {
      t.equal(found!(text), expected!(text), `${JSON.stringify(text)} ${JSON.stringify(limits)}`);
      t.same(found!.errors, expected!.errors);
    }
  }
});
