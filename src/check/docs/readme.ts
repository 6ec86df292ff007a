/** The picture of the modules in README.md, which stands between two markers. */
import { moduleGraph } from './graph.ts';
import type { ShopModel } from './model.ts';

const BEGIN = '<!-- modules:begin -->';
const END = '<!-- modules:end -->';

/**
 * README.md with the picture as it is now.
 * @throws Error when the markers are missing
 */
export function readmeWithPicture(readme: string, model: ShopModel): string {
  const [begin, end] = [readme.indexOf(BEGIN), readme.indexOf(END)];
  if (begin < 0 || end < begin) throw new Error(`README.md lacks the lines ${BEGIN} and ${END}: put them where the picture of the modules goes`);
  return `${readme.slice(0, begin + BEGIN.length)}\n${moduleGraph(model)}\n${readme.slice(end)}`;
}
