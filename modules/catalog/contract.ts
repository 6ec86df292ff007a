import { defineContract, event, Money, query, strict, Timestamp, Uuid } from '#kernel';
import { Type } from '@sinclair/typebox';

export const Product = strict({
  id: Uuid,
  name: Type.String({ minLength: 1, maxLength: 200 }),
  description: Type.String({ maxLength: 5_000 }),
  price: Money,
  categoryId: Type.Union([Uuid, Type.Null()]),
  createdAt: Timestamp,
  updatedAt: Timestamp,
});

export const catalog = defineContract({
  name: 'catalog',
  version: 1,
  summary: 'Products and categories: what can be bought and for how much.',
  errors: {
    PRODUCT_NOT_FOUND: { status: 404, title: 'No such product', remedy: 'Check the id; deleted products are gone from lists.' },
    CATEGORY_NOT_FOUND: { status: 422, title: 'No such category', remedy: 'Use an id of GET /api/v1/categories.' },
    CATEGORY_NAME_TAKEN: { status: 409, title: 'A category of that name exists', remedy: 'Use the existing category.' },
  },
  operations: {
    getProducts: query({
      version: 1,
      summary: 'Those of the named products that can be ordered, in no particular order; unknown and deleted ones are left out.',
      input: strict({ ids: Type.Array(Uuid, { minItems: 1, maxItems: 100 }) }),
      output: strict({ items: Type.Array(Product) }),
    }),
    getProduct: query({ version: 1, summary: 'One product that can be ordered.', input: strict({ id: Uuid }), output: Product, errors: ['PRODUCT_NOT_FOUND'] }),
    listProducts: query({
      version: 1,
      summary: 'All products that can be ordered, oldest first, page by page.',
      input: strict({ limit: Type.Integer({ minimum: 1, maximum: 500 }), after: Type.Optional(Uuid) }),
      output: strict({ items: Type.Array(Product) }),
    }),
  },
  events: {
    productCreated: event({ version: 1, summary: 'A product can be ordered from now on.', aggregate: 'productId', data: strict({ productId: Uuid, name: Type.String(), price: Money }) }),
    productChanged: event({ version: 1, summary: 'Name, description, price or category changed.', aggregate: 'productId', data: strict({ productId: Uuid, name: Type.String(), price: Money }) }),
    productDeleted: event({ version: 1, summary: 'A product can not be ordered any more.', aggregate: 'productId', data: strict({ productId: Uuid }) }),
  },
});
