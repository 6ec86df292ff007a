/** The customer buys two things together, and the shop learns from it what goes with what. */
import { chapter, moneyText, step } from './screen.ts';
import { type Counting, type List, mustHold, type Order, type Product, type ProductPage, type ShopApi } from './shop-api.ts';
import type { Stage } from './story.ts';

/** @returns the order, which is confirmed */
export async function buysTogether(stage: Stage): Promise<Order> {
  const { api, customer, lantern, oil } = stage;
  chapter('She needs oil for the lantern');
  const order = await step('She orders a lantern with oil and pays by card', () => api.placeOrder(customer, [lantern.id, oil.id], 1, 'tok_visa'), ({ id, total }) => `order ${id}, ${moneyText(total)}`);
  await step('The order is confirmed', () => api.follow(customer, order.id, 'confirmed'));
  await step('Who looks at the lantern is shown the oil', () => isRecommended(stage, 1));
  await step('The page of the lantern shows all of it at once', () => seesPage(api, customer, lantern), ({ inventory, recommendations }) => `${inventory.available} in stock; goes with ${recommendations[0]!.name}`);
  await step('The administrator has everything counted anew, and it comes to the same', async () => {
    const counting = await countAnew(stage);
    await isRecommended(stage, 1);
    return counting;
  }, ({ ordersRead }) => `${ordersRead} orders read`);
  return order;
}

/** Until the oil is what goes with the lantern, bought with it in so many orders; where there are none, nothing does. */
export async function isRecommended({ api, lantern, oil }: Stage, orders: 0 | 1): Promise<void> {
  await api.until(
    () => api.get<List<{ productId: string; boughtTogether: number }>>(`/recommendations/${lantern.id}`),
    ({ items }) => items.length === orders && items.every(({ productId, boughtTogether }) => productId === oil.id && boughtTogether === orders),
    ({ items }) => `${orders === 0 ? 'nothing' : 'the oil'} to be recommended with ${lantern.name}; recommended is ${JSON.stringify(items)}`,
  );
}

async function countAnew({ api, admin }: Stage): Promise<Counting> {
  const path = '/admin/recommendations/rebuild';
  const begun = await api.ask<Counting>(202, 'POST', path, { token: admin });
  return api.until(
    () => api.get<Counting>(path, admin),
    // One that somebody else has asked for since is begun when this one is done.
    ({ id, status }) => id !== begun.id || status === 'finished',
    ({ ordersRead }) => `all orders to be counted anew; read are ${ordersRead}`,
  );
}

async function seesPage(api: ShopApi, customer: string, { id, name }: Product): Promise<ProductPage> {
  const page = await api.get<ProductPage>(`/product-pages/${id}`, customer);
  mustHold(page.degraded.length === 0, `nothing may be missing from the page of ${name}, but ${page.degraded.join()} is`);
  mustHold(page.product.id === id && page.recommendations.length === 1, `the page of ${name} must show it and what goes with it, but shows ${JSON.stringify(page)}`);
  mustHold(page.viewer !== undefined, `the page of ${name} must know who looks at it`);
  return page;
}
