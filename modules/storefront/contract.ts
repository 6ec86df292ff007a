import { defineContract } from '#kernel';

export const storefront = defineContract({
  name: 'storefront',
  version: 1,
  summary: 'Pages composed of what other modules know; owns no data.',
  errors: {
    PRODUCT_NOT_FOUND: { status: 404, title: 'No such product', remedy: 'Check the id; deleted products are gone.' },
  },
  operations: {},
  events: {},
});
