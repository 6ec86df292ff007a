import fc from 'fast-check';
import t from 'tap';
import { canBeDelivered, canBeDispatched, hasLeft, isServed, isShipment, type ShipmentRow, shipmentStatuses } from './shipment.ts';
import { isTrackingNumber, trackingNumber } from './tracking-number.ts';

const row: ShipmentRow = {
  id: '0198c2f4-6a7e-7cc3-9c1e-2f6f1f6b8a10',
  orderId: '0198c2f4-6a7e-7cc3-9c1e-2f6f1f6b8a11',
  status: 'cancelled',
  customerId: null,
  trackingNumber: null,
  address: null,
  items: null,
  cancelReason: null,
  createdAt: new Date(),
  dispatchedAt: null,
  deliveredAt: null,
  cancelledAt: new Date(),
};

void t.test('only a parcel in preparation can be dispatched, only one on its way delivered', async (t) => {
  t.same(shipmentStatuses.filter(canBeDispatched), ['preparing']);
  t.same(shipmentStatuses.filter(canBeDelivered), ['dispatched']);
});

void t.test('a parcel has left from dispatch on', async (t) => {
  t.same(shipmentStatuses.filter(hasLeft), ['dispatched', 'delivered']);
});

void t.test('every country is served unless some are named', async (t) => {
  t.equal(isServed('DE', new Set()), true);
  t.equal(isServed('DE', new Set(['FR', 'DE'])), true);
  t.equal(isServed('US', new Set(['FR', 'DE'])), false);
});

void t.test('a tombstone is not a shipment', async (t) => {
  t.equal(isShipment(null), false);
  t.equal(isShipment(row), false);
  t.equal(isShipment({ ...row, trackingNumber: trackingNumber() }), true);
});

void t.test('tracking numbers look like one another and are all different', async (t) => {
  const numbers = Array.from({ length: 1_000 }, () => trackingNumber());
  t.equal(new Set(numbers).size, numbers.length);
  for (const number of numbers) if (!/^CL[0-9A-HJKMNP-TV-Z]{16}$/.test(number) || !isTrackingNumber(number)) t.fail(`${number} is not a tracking number`);
  t.equal(trackingNumber(new Uint8Array(15)), 'CL0000000000000000');
  t.equal(trackingNumber(Uint8Array.from({ length: 15 }, (_, i) => i + 1)), 'CL123456789ABCDEF8', 'the weighted sum is 184, and 184 + 8 is a multiple of 32');
});

void t.test('a tracking number with one wrong character is recognised', async (t) => {
  const characters = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 15, maxLength: 15 }), fc.integer({ min: 2, max: 17 }), fc.constantFrom(...characters), (random, position, wrong) => {
      const number = trackingNumber(random);
      const misread = `${number.slice(0, position)}${wrong}${number.slice(position + 1)}`;
      return isTrackingNumber(misread) === (misread === number);
    }),
  );
  const others = ['', 'CL', 'cl0000000000000000', 'XX0000000000000000', 'CL000000000000000O', 'CL00000000000000000'];
  for (const text of others) t.equal(isTrackingNumber(text), false, text);
});
