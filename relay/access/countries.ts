import type { IpAddress } from './ip-address.ts';

/** Which countries an app lets in. */
export type CountryRule = { readonly mode: 'Allow' | 'Block'; readonly codes: ReadonlySet<string> };

/** @param country undefined: it is not known. A list of whom to let in then says no, a list of whom to keep out says nothing. */
export function allowsCountry({ mode, codes }: CountryRule, country: string | undefined): boolean {
  const listed = country !== undefined && codes.has(country);
  return mode === 'Allow' ? listed : !listed;
}

/** Where addresses are. */
export interface Geography {
  /** false: there is no database, so that nothing is known of any address. */
  readonly available: boolean;
  /** ISO 3166-1 alpha-2; undefined: not known, or there is no database. */
  countryOf(address: IpAddress | undefined): string | undefined;
  /** Called when answers may have changed. Returns what ends it. */
  onChange(listener: () => void): () => void;
}

/** Asked for only where the app has a rule about it. */
export function countryFor(
  access: { readonly countries: CountryRule | null } | undefined,
  address: IpAddress | undefined,
  geography: Geography,
): string | undefined {
  return access === undefined || access.countries === null ? undefined : geography.countryOf(address);
}
