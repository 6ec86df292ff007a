/** A shelf of the shop. Names are unique whatever their case. */
import { defineEntity, type InferEntity, p } from '@mikro-orm/core';

export const CategorySchema = defineEntity({
  name: 'Category',
  tableName: 'category',
  properties: {
    id: p.uuid().primary(),
    name: p.text(),
    createdAt: p.datetime(3).columnType('timestamptz(3)'),
  },
  uniques: [{ name: 'category_name_unique', expression: 'create unique index category_name_unique on category (lower(name))' }],
});
export type Category = InferEntity<typeof CategorySchema>;

export interface CategoryView {
  readonly id: string;
  readonly name: string;
  readonly createdAt: string;
}

/** A category as the API shows it. */
export function categoryView(category: Category): CategoryView {
  return { id: category.id, name: category.name, createdAt: category.createdAt.toISOString() };
}
