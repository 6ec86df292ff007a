/** What whoever starts a service among stand-ins is told. */
import type { AnyModule } from '../../src/module.ts';
import type { StubTokens } from './stub-tokens.ts';

/** @param hosted names of the modules that run here */
export function aboutStubs(tokens: StubTokens, hosted: readonly string[], modules: readonly AnyModule[]): string {
  const signsHere = modules.some(({ contract }) => hosted.includes(contract.name) && 'getTokenKeys' in contract.operations);
  const others = modules.map(({ contract }) => contract.name).filter((name) => !hosted.includes(name));
  const lines = signsHere ? ['Tokens come from the service itself: sign in.'] : (['customer', 'admin'] as const).flatMap((role) => [`Token of ${role === 'customer' ? 'a customer' : 'an admin'} (${tokens.users[role]}), good until this process ends or for 12 hours:`, `  ${tokens.sign(role)}`]);
  return [`Stand-ins answer for ${others.join(', ')}; nothing that they say is real.`, ...lines].join('\n');
}
