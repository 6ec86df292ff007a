/** The public face of the catalog: reading for anyone, writing for administrators. */
import { Currency, OneOf, Page, PageQuery, type RoutesPlugin, strict, Timestamp, Uuid } from '#kernel';
import { Type } from '@sinclair/typebox';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Catalog } from './catalog.ts';
import { Product } from './contract.ts';
import { sorts } from './listing.ts';
import { namesTag, type Served } from './served.ts';

/** Neither NUL, which PostgreSQL does not keep, nor halves of surrogate pairs, which UTF-8 does not have. */
const LINE = '^(?=.*\\S)[^\\u0000-\\u001f\\u007f\\ud800-\\udfff]*$';
const TEXT = '^[^\\u0000-\\u0008\\u000b\\u000c\\u000e-\\u001f\\u007f\\ud800-\\udfff]*$';
const QUERY = '^(?=[\\s\\S]*\\S)[^\\u0000]*$';

const name = (maxLength: number) => Type.String({ minLength: 1, maxLength, pattern: LINE, description: 'a line of text that is not blank' });
const price = strict(
  { amount: Type.Integer({ minimum: 1, maximum: 1_000_000_000_000 }), currency: Currency },
  { description: 'Minor units of an ISO 4217 currency, at least 1', examples: [{ amount: 1999, currency: 'USD' }] },
);
const NewProduct = strict({
  name: name(200),
  description: Type.String({ maxLength: 5_000, pattern: TEXT, description: 'text without control characters, line breaks and tabs aside' }),
  price,
  categoryId: Type.Optional(Product.properties.categoryId),
});
const ProductChange = Type.Partial(NewProduct, { additionalProperties: false, minProperties: 1 });
const Category = strict({ id: Uuid, name: Type.String(), createdAt: Timestamp });
const NewCategory = strict({ name: name(100) });

const params = strict({ id: Uuid });
const listQuery = strict({ ...PageQuery, categoryId: Type.Optional(Uuid), sort: Type.Optional(OneOf(sorts, { default: 'newest' })) });
const words = Type.String({ minLength: 1, maxLength: 200, pattern: QUERY, description: 'words that are looked for', examples: ['desk lamp'] });
const ifNoneMatch = Type.Optional(Type.String({ maxLength: 4_000, description: 'Entity tags that the client has' }));

const tags = ['catalog'];
const anyone = { access: 'anyone' } as const;
const admin = ['admin'] as const;
const UNKNOWN = 'PRODUCT_NOT_FOUND';
const NO_CATEGORY = 'CATEGORY_NOT_FOUND';
const DEFAULT_LIMIT = 20;
const gone = { 204: Type.Null({ description: 'It is gone' }) };
const JSON_TYPE = 'application/json; charset=utf-8';

/** What each route takes and answers. */
const schemas = {
  list: {
    tags,
    operationId: 'listProducts',
    summary: 'Products in one of four orders',
    querystring: listQuery,
    response: { 200: Page(Product) },
  },
  search: {
    tags,
    operationId: 'searchProducts',
    summary: 'Products that have all the words, best first; forgives a slip',
    querystring: strict({ ...PageQuery, q: words }),
    response: { 200: Page(Product) },
  },
  read: {
    tags,
    operationId: 'getProduct',
    summary: 'One product',
    params,
    headers: Type.Object({ 'if-none-match': ifNoneMatch }),
    response: { 200: Product, 304: Type.Null({ description: 'The client has it' }) },
  },
  create: { tags, operationId: 'createProduct', summary: 'Add a product', body: NewProduct, response: { 201: Product } },
  change: { tags, operationId: 'changeProduct', summary: 'Change a product', params, body: ProductChange, response: { 200: Product } },
  remove: { tags, operationId: 'deleteProduct', summary: 'Take a product out of the shop', params, response: gone },
  shelves: {
    tags,
    operationId: 'listCategories',
    summary: 'Categories by name',
    querystring: strict(PageQuery),
    response: { 200: Page(Category) },
  },
  add: { tags, operationId: 'createCategory', summary: 'Add a category', body: NewCategory, response: { 201: Category } },
};

export function catalogRoutes(service: Catalog): RoutesPlugin {
  return async (app) => {
    app.get('/products', { config: anyone, schema: schemas.list }, async (request, reply) => {
      const { sort = 'newest', categoryId, limit = DEFAULT_LIMIT, cursor } = request.query;
      return sendJson(reply, await service.list({ sort, categoryId, limit, cursor }, request));
    });

    app.get('/products/search', { config: anyone, schema: schemas.search }, async (request, reply) => {
      const { q, limit = DEFAULT_LIMIT, cursor } = request.query;
      return sendJson(reply, await service.search({ q, limit, cursor }, request));
    });

    app.get('/products/:id', { config: { ...anyone, errors: [UNKNOWN] }, schema: schemas.read }, (request, reply) => {
      const known = service.peek(request.params.id);
      if (!known) return service.product(request.params.id, request).then((product) => sendProduct(request, reply, product));
      void sendProduct(request, reply, known);
    });

    app.post('/products', { config: { access: admin, errors: [NO_CATEGORY] }, schema: schemas.create }, async (request, reply) => {
      const product = await service.create(request.body, request.call);
      return reply.code(201).header('location', `/api/v1/products/${product.id}`).send(product);
    });

    app.patch('/products/:id', { config: { access: admin, errors: [UNKNOWN, NO_CATEGORY] }, schema: schemas.change }, async (request) =>
      service.change(request.params.id, request.body, request.call),
    );

    app.delete('/products/:id', { config: { access: admin, errors: [UNKNOWN] }, schema: schemas.remove }, async (request, reply) => {
      await service.remove(request.params.id, request.call);
      return reply.code(204).send(null);
    });

    app.get('/categories', { config: anyone, schema: schemas.shelves }, async (request, reply) => {
      const { limit = DEFAULT_LIMIT, cursor } = request.query;
      return sendJson(reply, await service.categories.list({ limit, cursor }, request));
    });

    app.post('/categories', { config: { access: admin, errors: ['CATEGORY_NAME_TAKEN'] }, schema: schemas.add }, async (request, reply) => {
      const category = await service.categories.add(request.body.name, request.call);
      return reply.code(201).send(category);
    });
  };
}

/** Clients ask again each time whether what they have is still so. */
function sendProduct(request: FastifyRequest, reply: FastifyReply, { etag, json }: Served): Promise<void> {
  reply.header('etag', etag).header('cache-control', 'no-cache');
  const has = request.headers['if-none-match'];
  if (has === undefined || !namesTag(has, etag)) return sendJson(reply, json);
  return reply.code(304).send() as unknown as Promise<void>;
}

/** What has been serialised already goes out as it is. A reply can be awaited, and must be returned where it is sent later. */
function sendJson(reply: Pick<FastifyReply, 'header' | 'send'>, json: string): Promise<void> {
  reply.header('content-type', JSON_TYPE);
  return reply.send(json) as unknown as Promise<void>;
}
