import { allowsCountry } from '../../access/countries.ts';
import { check } from '../check.ts';

export const countryAllowed = check({
  name: 'country-allowed',
  doors: ['http', 'websocket', 'live'],
  stage: 'arrival',
  refuses: ['country_not_allowed'],
  refusal: ({ app, country }) => {
    const rule = app?.access.countries ?? null;
    return rule === null || allowsCountry(rule, country) ? undefined : 'country_not_allowed';
  },
});
