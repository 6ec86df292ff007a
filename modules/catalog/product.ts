/** A product, as it is kept and as it is shown, and the rules about changing one. */
import { defineEntity, type InferEntity, type Opt, p } from '@mikro-orm/core';
import { uuidv7 } from '#kernel';
import type { Static } from '@sinclair/typebox';
import { CategorySchema } from './category.ts';
import type { Product as ProductContract } from './contract.ts';

const time = () => p.datetime(3).columnType('timestamptz(3)');
const listed = 'deleted_at is null';
/** Hyphens, slashes, dots and underscores part words, here as in queries. */
const terms = (column: string, weight: string) =>
  `setweight(to_tsvector('english'::regconfig, translate(${column}, '-/._'::text, '    '::text)), '${weight}'::"char")`;

export const ProductSchema = defineEntity({
  name: 'Product',
  tableName: 'product',
  properties: {
    id: p.uuid().primary(),
    name: p.text(),
    description: p.text(),
    priceAmount: p.bigint('number'),
    priceCurrency: p.text(),
    categoryId: p.manyToOne(CategorySchema).mapToPk().nullable().deleteRule('no action').fieldName('category_id'),
    createdAt: time(),
    updatedAt: time(),
    deletedAt: time().nullable(),
    /** What is searched; PostgreSQL keeps it. */
    search: p.string().$type<Opt<string>>().columnType('tsvector').generated(`(${terms('name', 'A')} || ${terms('description', 'B')}) stored`).lazy(),
  },
  checks: [{ name: 'product_price_amount_check', expression: 'price_amount > 0' }],
  indexes: [
    { name: 'product_newest', properties: ['createdAt', 'id'], where: listed },
    { name: 'product_price', properties: ['priceAmount', 'id'], where: listed },
    { name: 'product_name', expression: `create index product_name on product (lower(name), id) where ${listed}` },
    { name: 'product_category_newest', properties: ['categoryId', 'createdAt', 'id'], where: listed },
    { name: 'product_category_price', properties: ['categoryId', 'priceAmount', 'id'], where: listed },
    { name: 'product_category_name', expression: `create index product_category_name on product (category_id, lower(name), id) where ${listed}` },
    { name: 'product_search', expression: `create index product_search on product using gin (search) with (fastupdate = off) where ${listed}` },
  ],
});

/** A product that has not been deleted, as it is kept. */
export type Product = Omit<InferEntity<typeof ProductSchema>, 'deletedAt' | 'search'>;

export type ProductView = Static<typeof ProductContract>;

/** What an administrator says of a product. */
export interface ProductDraft {
  readonly name: string;
  readonly description: string;
  readonly price: { readonly amount: number; readonly currency: string };
  readonly categoryId?: string | null;
}

type Facts = Pick<Product, 'name' | 'description' | 'priceAmount' | 'priceCurrency' | 'categoryId'>;

/** A product as the API and the contract show it. */
export function productView(product: Product): ProductView {
  return {
    id: product.id,
    name: product.name,
    description: product.description,
    price: { amount: product.priceAmount, currency: product.priceCurrency },
    categoryId: product.categoryId ?? null,
    createdAt: product.createdAt.toISOString(),
    updatedAt: product.updatedAt.toISOString(),
  };
}

/** A product that nobody has seen yet. */
export function newProduct({ name, description, price, categoryId }: ProductDraft): Product {
  const now = new Date();
  const facts = { name: name.trim(), description, priceAmount: price.amount, priceCurrency: price.currency, categoryId: categoryId?.toLowerCase() ?? null };
  return { id: uuidv7(), ...facts, createdAt: now, updatedAt: now };
}

/** What a draft says, in the terms in which it is kept; what it does not say is left out. */
export function factsOf(draft: Partial<ProductDraft>): Partial<Facts> {
  return {
    ...(draft.name !== undefined && { name: draft.name.trim() }),
    ...(draft.description !== undefined && { description: draft.description }),
    ...(draft.price !== undefined && { priceAmount: draft.price.amount, priceCurrency: draft.price.currency }),
    ...(draft.categoryId !== undefined && { categoryId: draft.categoryId?.toLowerCase() ?? null }),
  };
}

/** Whether the draft says anything of the product that is not so already. */
export function saysSomethingNew(product: Facts, facts: Partial<Facts>): boolean {
  return (Object.keys(facts) as (keyof Facts)[]).some((key) => facts[key] !== product[key]);
}
