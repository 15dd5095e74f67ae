/** The tests of the storage API once more, with its blobs in a bucket of a real S3 service. */
import '../support/bucket-back-end';
import './storage.test';
