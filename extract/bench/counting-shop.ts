/** A shop that counts the places where a span begins, is told something or ends, and tells how many when it is asked. */
import { discoverModules } from '../../src/host/discover.ts';
import { startHost } from '../../src/host/host.ts';
import { createLog } from '../../src/log/log.ts';
import { checkSettings, kernelSettings, type KernelSettings } from '../../src/settings/settings.ts';
import { isRecorded, type TraceContext, traceIdOf, traceparentOf } from '../../src/trace/trace-context.ts';
import type { Span, Tracing } from '../../src/trace/tracing.ts';

let passed = 0;
const NEW_TRACE = '4bf92f3577b34da6a3ce929d0e0e4736';
const SPAN = '00f067aa0ba902b7';

function spanIn(parent: TraceContext | undefined): Span {
  passed += 1;
  const count = (): void => void (passed += 1);
  return { traceparent: traceparentOf(parent ? traceIdOf(parent) : NEW_TRACE, SPAN, true), set: count, fail: count, end: count };
}

const tracing: Tracing = { receive: spanIn, begin: spanIn, join: (parent) => (isRecorded(parent) ? spanIn(parent) : void (passed += 1)) };

const modules = await discoverModules();
const { values } = checkSettings({ kernel: kernelSettings, ...Object.fromEntries(modules.map((module) => [module.contract.name, module.settings])) }, process.env);
const settings = values['kernel'] as KernelSettings;
const host = await startHost({ modules, adminUrl: settings.DATABASE_URL!, settings, moduleSettings: values, log: createLog(settings.LOG_LEVEL), tracing });
process.on('message', (question) => {
  if (question === 'passed') process.send!({ passed });
});
process.once('SIGTERM', () => void host.stop().then(() => process.exit(0)));
process.stdout.write(`${host.url}\n`);
