/** Where a role reads blobs, and which addresses its references name. */
import { namedLocations, placesOf, requireStorages } from '../../../src/app/places';

const open = 'https://storage.example.org/api/v1';
const local = 'http://127.0.0.1:3090/api/v1';
const config = (more: object = {}) => ({ allowPrivateStorages: false, storageApi: [open, local], ...more });

test('--storage: takes the place of the configured storages', () => {
  expect(placesOf(config()).storages).toEqual([open, local]);
  expect(placesOf(config(), { storage: local })).toEqual({ storages: [local], allowPrivate: false });
});

test('nothing configured: requireStorages throws config/no-storage', () => {
  expect(() => requireStorages(placesOf({ allowPrivateStorages: false }))).toThrow(/set storageApi/);
});

test.each([
  ['nothing said', {}, [open]],
  ['private ones allowed', { allowPrivateStorages: true }, [open, local]],
  [
    'public addresses configured: those',
    { publicStorageApi: ['https://cdn.example.org/store/'] },
    ['https://cdn.example.org/store'],
  ],
])('%s: references name what anybody may reach', (_what, more, named) => {
  expect(namedLocations(config(more), [open, `${local}/`])).toEqual(named);
});

test.each([
  'http://storage.example.org/api/v1',
  'https://localhost/api/v1',
  'https://storage/api/v1',
  'https://storage.local/api/v1',
  'https://10.1.2.3/api/v1',
  'https://169.254.169.254/api/v1',
  'https://[::1]/api/v1',
  'https://[fd00::1]/api/v1',
  'https://[::ffff:10.0.0.1]/api/v1',
])('%s: named to nobody', (storage) => {
  expect(namedLocations(config(), [storage])).toEqual([]);
});
