/** What inventory does about the catalog's events. */
import { on, type Subscriber } from '#kernel';
import { catalog } from '../catalog/contract.ts';
import type { Inventory } from './inventory.ts';

export function reactions(service: Inventory): Subscriber[] {
  return [
    {
      name: 'stock',
      handlers: [
        on(catalog.events.productCreated, { apply: async ({ data }, tx) => service.introduce(tx, data.productId) }),
        on(catalog.events.productDeleted, { apply: async ({ data }, tx) => service.discontinue(tx, data.productId) }),
      ],
    },
  ];
}
