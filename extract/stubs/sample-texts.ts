/** Texts that stand in for those that people write, by the name of the field that they stand in. */

const ANY = ['a text', 'text', 'A', 'a'];

const BY_NAME: Readonly<Record<string, readonly string[]>> = {
  name: ['A sample'],
  description: ['Made up by a stand-in'],
  username: ['sample_customer'],
  email: ['customer@example.com'],
  phone: ['+15550100'],
  password: ['a long enough password'],
  subject: ['A subject'],
  body: ['A body of text'],
  message: ['Made up by a stand-in'],
  reason: ['SAMPLE'],
  line1: ['1 Sample Street'],
  city: ['Sampleton'],
  postalCode: ['12345'],
  trackingNumber: ['SAMPLE-0001'],
  transactionId: ['sample-transaction'],
};

/** Best first; none need fit. */
export function sampleTexts(name: string): readonly string[] {
  return [...(Object.hasOwn(BY_NAME, name) ? BY_NAME[name]! : []), ...ANY];
}
