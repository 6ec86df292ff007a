import { CallError } from '#kernel';
import t from 'tap';
import {
  type Account,
  applyChange,
  changeNeedsPassword,
  isEmail,
  isUsername,
  maySeeAccount,
  passwordProblem,
  requireValid,
  wouldLeaveNoAdministrator,
} from './account.ts';

const account: Account = {
  id: '0198c2f4-6a7e-7cc3-9c1e-2f6f1f6b8a10',
  username: 'Ada',
  usernameKey: 'ada',
  email: 'ada@example.com',
  phone: null,
  role: 'customer',
  passwordHash: 'old hash',
  tokenGeneration: 3,
  tokensWithdrawnAt: null,
  createdAt: new Date(0),
};

t.test('a username is 3 to 50 plain letters, digits, dots, dashes and underscores', async (t) => {
  for (const name of ['ada', 'Ada.Lovelace', 'a-b', '_ada', 'user_1718', 'x'.repeat(50)]) t.ok(isUsername(name), name);
  for (const name of ['', 'ab', 'x'.repeat(51), '.ada', '-ada', 'ada lovelace', 'adа', 'ada\n', 'ada\0', 'ada@home']) t.notOk(isUsername(name), JSON.stringify(name));
});

t.test('an e-mail address has a name and a domain with a dot, and nothing that a mail header could break on', async (t) => {
  for (const address of ['ada@example.com', "o'brien+shop@mail.example.co.uk", `${'x'.repeat(64)}@example.com`]) t.ok(isEmail(address), address);
  const bad = ['ada', 'ada@', '@example.com', 'ada@localhost', 'ada@exa mple.com', 'ada@-example.com', 'ada@example.com\r\nBcc: eve@example.com', 'ada@example..com', '"a b"@example.com'];
  for (const address of [...bad, `${'x'.repeat(65)}@example.com`, `ada@${'x.'.repeat(130)}com`]) t.notOk(isEmail(address), JSON.stringify(address));
});

t.test('a password has 8 to 128 characters, counted as people count them', async (t) => {
  t.equal(passwordProblem('x'.repeat(8)), undefined);
  t.equal(passwordProblem('🔑'.repeat(8)), undefined);
  t.equal(passwordProblem('🔑'.repeat(128)), undefined, 'which has 256 UTF-16 units');
  t.match(passwordProblem('🔑'.repeat(7)), /8 to 128 characters, not 7/);
  t.match(passwordProblem('x'.repeat(129)), /not 129/);
  t.match(passwordProblem('e\u0301'.repeat(7)), /not 7/, 'a letter and its accent are one character');
  t.match(passwordProblem('1234567\0'), /NUL/);
  t.match(passwordProblem('1234567\ud800'), /well-formed/);
});

t.test('what does not fit is named field by field, and the password is not repeated', async (t) => {
  const wrong = (): void => requireValid({ username: 'a', email: 'ada', password: 'secret' });
  t.throws(wrong, CallError);
  try {
    wrong();
  } catch (error) {
    const { code, errors, message } = error as CallError;
    t.equal(code, 'VALIDATION_FAILED');
    t.same(errors!.map(({ path }) => path), ['/username', '/email', '/password']);
    t.notMatch(message, /secret/);
  }
  t.doesNotThrow(() => requireValid({ email: 'ada@example.com' }), 'absent fields are not looked at');
});

t.test('an account is seen by its owner and by the shop\'s people', async (t) => {
  t.ok(maySeeAccount({ id: account.id, role: 'customer' }, account.id));
  t.notOk(maySeeAccount({ id: 'somebody else', role: 'customer' }, account.id));
  t.ok(maySeeAccount({ id: 'somebody else', role: 'support' }, account.id));
  t.ok(maySeeAccount({ id: 'somebody else', role: 'admin' }, account.id));
});

t.test('a new password and a new address take the current password, a phone number does not', async (t) => {
  t.ok(changeNeedsPassword(account, { password: 'another one' }));
  t.ok(changeNeedsPassword(account, { email: 'lovelace@example.com' }));
  t.notOk(changeNeedsPassword(account, { email: 'ADA@example.com' }), 'the same address changes nothing');
  t.notOk(changeNeedsPassword(account, {}));
});

t.test('the last administrator stays one', async (t) => {
  t.ok(wouldLeaveNoAdministrator(['a'], 'a', 'customer'));
  t.notOk(wouldLeaveNoAdministrator(['a', 'b'], 'a', 'customer'));
  t.notOk(wouldLeaveNoAdministrator(['a'], 'b', 'support'), 'somebody else may become whatever');
  t.notOk(wouldLeaveNoAdministrator(['a'], 'a', 'admin'));
});

t.test('a change says what really changed', async (t) => {
  const changing = { ...account };
  t.same(applyChange(changing, { email: 'ada@example.com', phone: undefined, role: 'customer' }), []);
  t.same(applyChange(changing, { email: 'lovelace@example.com', phone: '+4915112345678', passwordHash: 'new hash' }), ['email', 'phone', 'password']);
  t.match(changing, { email: 'lovelace@example.com', phone: '+4915112345678', passwordHash: 'new hash', role: 'customer' });
  t.same(applyChange(changing, { phone: null }), ['phone']);
});

t.test('another role or password withdraws the tokens that are out, and nothing else does', async (t) => {
  const generationAfter = (change: Parameters<typeof applyChange>[1]): number => {
    const changed = { ...account };
    applyChange(changed, change);
    t.equal(changed.tokensWithdrawnAt !== null, changed.tokenGeneration > account.tokenGeneration);
    return changed.tokenGeneration;
  };
  t.equal(generationAfter({ role: 'support' }), 4);
  t.equal(generationAfter({ passwordHash: 'new hash' }), 4);
  t.equal(generationAfter({ role: 'admin', passwordHash: 'new hash' }), 4);
  t.equal(generationAfter({ role: account.role, email: 'else@example.com', phone: '+4915112345678' }), 3);
});
