import slugify from "slugify";
import { z } from "zod";

const Product = z.object({ title: z.string().min(1), pence: z.number().int().positive() });

export type Product = z.infer<typeof Product>;

const products: Product[] = z.array(Product).parse([
  { title: "Crème Brûlée Torch", pence: 3450 },
  { title: "Smörgåsbord & Cheese Board", pence: 5900 },
]);

export function catalogue(): (Product & { path: string })[] {
  return products.map((product) => ({ ...product, path: slugify(product.title, { lower: true, strict: true }) }));
}
