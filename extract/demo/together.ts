/** The customer buys two things together, and the pages of the shop learn from it. */
import { chapter, moneyText, step } from './screen.ts';
import { type List, mustHold, type Order, type Product, type ProductPage, type ShopApi } from './shop-api.ts';
import type { Stage } from './story.ts';

/** @returns the order, which is confirmed */
export async function buysTogether({ api, customer, lantern, oil }: Stage): Promise<Order> {
  chapter('She needs oil for the lantern');
  const order = await step('She orders a lantern with oil and pays by card', () => api.placeOrder(customer, [lantern.id, oil.id], 1, 'tok_visa'), ({ id, total }) => `order ${id}, ${moneyText(total)}`);
  await step('The order is confirmed', () => api.follow(customer, order.id, 'confirmed'));
  await step('Who looks at the lantern is shown the oil', () =>
    api.until(
      () => api.get<List<{ productId: string; boughtTogether: number }>>(`/recommendations/${lantern.id}`),
      ({ items }) => items.length === 1 && items[0]!.productId === oil.id && items[0]!.boughtTogether === 1,
      ({ items }) => `the oil to be recommended once; recommended is ${JSON.stringify(items)}`,
    ),
  );
  await step('The page of the lantern shows all of it at once', () => seesPage(api, customer, lantern), ({ inventory, recommendations }) => `${inventory.available} in stock; goes with ${recommendations[0]!.name}`);
  return order;
}

async function seesPage(api: ShopApi, customer: string, { id, name }: Product): Promise<ProductPage> {
  const page = await api.get<ProductPage>(`/product-pages/${id}`, customer);
  mustHold(page.degraded.length === 0, `nothing may be missing from the page of ${name}, but ${page.degraded.join()} is`);
  mustHold(page.product.id === id && page.recommendations.length === 1, `the page of ${name} must show it and what goes with it, but shows ${JSON.stringify(page)}`);
  mustHold(page.viewer !== undefined, `the page of ${name} must know who looks at it`);
  return page;
}
