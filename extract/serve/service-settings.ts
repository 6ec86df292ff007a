/** Settings of a service, beside the kernel's and its modules' own. */
import { type Static, type TObject, Type } from '@sinclair/typebox';

export const serviceSettings = Type.Object({
  INTERNAL_HOST: Type.String({
    default: '127.0.0.1',
    minLength: 1,
    pattern: '^[0-9A-Za-z.:_-]+$',
    expected: 'an address or host name of this machine',
    description: 'Address on which other services reach this one. Keep it where the public cannot come.',
  }),
  INTERNAL_PORT: Type.Integer({ default: 0, minimum: 0, maximum: 65_535, description: 'Port on which other services reach this one; 0 takes any free one.' }),
  SERVICE_SECRET: Type.Optional(
    Type.String({
      minLength: 32,
      maxLength: 512,
      secret: true,
      description: 'Signs the tokens by which services know each other; the same for all of a deployment. Needed in production; elsewhere one is made and kept in DATA_DIR.',
    }),
  ),
});

export type ServiceSettings = Static<typeof serviceSettings>;

/** The variable that names a module's own database, e.g. `PAYMENTS_DATABASE_URL`. */
export function databaseVariable(module: string): string {
  return `${module.toUpperCase().replaceAll('-', '_')}_DATABASE_URL`;
}

export function databaseSettings(modules: readonly string[]): TObject {
  const url = (module: string) => Type.Optional(Type.String({ format: 'url', protocols: ['postgres', 'postgresql'], secret: true, description: `PostgreSQL of the service that hosts ${module}. Without it a database of its own is made on the server of DATABASE_URL, or on the embedded one.` }));
  return Type.Object(Object.fromEntries(modules.map((module) => [databaseVariable(module), url(module)])));
}
