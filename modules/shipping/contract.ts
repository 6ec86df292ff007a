import { command, defineContract, event, OneOf, strict, Uuid } from '#kernel';
import { Type } from '@sinclair/typebox';

/** No control characters: a line goes on labels and into the headers of mails. */
const printable = { pattern: '^(?=.*\\S)[^\\u0000-\\u001f\\u007f]*$', description: 'one line of printable characters that is not blank' };
const line = Type.String({ minLength: 1, maxLength: 200, ...printable });

/** The 249 codes that are assigned: a parcel cannot go to a country that does not exist. */
const countryCodes = [
  'A[DEFGILMOQRSTUWXZ]|B[ABDEFGHIJLMNOQRSTVWYZ]|C[ACDFGHIKLMNORUVWXYZ]|D[EJKMOZ]|E[CEGHRST]|F[IJKMOR]|G[ABDEFGHILMNPQRSTUWY]|H[KMNRTU]',
  'I[DELMNOQRST]|J[EMOP]|K[EGHIMNPRWYZ]|L[ABCIKRSTUVY]|M[ACDEFGHKLMNOPQRSTUVWXYZ]|N[ACEFGILOPRUZ]|OM|P[AEFGHKLMNRSTWY]|QA|R[EOSUW]',
  'S[ABCDEGHIJKLMNORSTVXYZ]|T[CDFGHJKLMNORTVWZ]|U[AGMSYZ]|V[ACEGINU]|W[FS]|Y[ET]|Z[AMW]',
].join('|');

export const countryPattern = `^(?:${countryCodes})$`;

export const Address = strict({
  name: line,
  line1: line,
  line2: Type.Optional(line),
  city: line,
  postalCode: Type.String({ minLength: 1, maxLength: 20, ...printable }),
  country: Type.String({ pattern: countryPattern, description: 'ISO 3166-1 alpha-2', examples: ['DE'] }),
});

export const ShipmentItem = strict({ productId: Uuid, name: Type.String(), quantity: Type.Integer({ minimum: 1 }) });

const shipmentEvent = strict({ shipmentId: Uuid, orderId: Uuid, customerId: Uuid, trackingNumber: Type.String() });

export const shipping = defineContract({
  name: 'shipping',
  version: 1,
  summary: 'Shipments: one per confirmed order, from preparation to delivery.',
  errors: {
    SHIPMENT_NOT_FOUND: { status: 404, title: 'No such shipment', remedy: 'Check the id.' },
    SHIPMENT_NOT_PREPARING: { status: 409, title: 'The shipment is not being prepared', remedy: 'Look at the shipment\'s status: only one in preparation can be dispatched.' },
    SHIPMENT_NOT_DISPATCHED: { status: 409, title: 'The shipment is not on its way', remedy: 'Dispatch it first; a delivered or cancelled one cannot be delivered.' },
  },
  operations: {
    createShipment: command({
      version: 1,
      summary: 'Makes the order\'s shipment. A second call answers the same one; after `cancelShipment` it answers `cancelled`; where the address is not served, `refused`.',
      idempotent: true,
      input: strict({
        orderId: Uuid,
        customerId: Uuid,
        address: Address,
        items: Type.Array(ShipmentItem, { minItems: 1 }),
      }),
      output: strict({ outcome: OneOf(['created', 'cancelled', 'refused']), shipmentId: Type.Union([Uuid, Type.Null()]), trackingNumber: Type.Union([Type.String(), Type.Null()]) }),
    }),
    cancelShipment: command({
      version: 1,
      summary: 'Keeps the order\'s shipment from leaving, whether it exists yet or not; answers `dispatched` where it is too late.',
      idempotent: true,
      input: strict({ orderId: Uuid, reason: Type.String({ maxLength: 200 }) }),
      output: strict({ outcome: OneOf(['cancelled', 'dispatched']) }),
    }),
  },
  events: {
    shipmentDispatched: event({ version: 1, summary: 'The parcel left.', aggregate: 'orderId', data: shipmentEvent }),
    shipmentDelivered: event({ version: 1, summary: 'The parcel arrived.', aggregate: 'orderId', data: shipmentEvent }),
    shipmentCancelled: event({
      version: 1,
      summary: 'The shipment will not leave.',
      aggregate: 'orderId',
      data: strict({ shipmentId: Uuid, orderId: Uuid, customerId: Uuid, reason: Type.String() }),
    }),
  },
});
