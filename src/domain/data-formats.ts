/** The kinds of files that a data set may consist of; `data.format` of a job names one. */

export const dataFormats = ['auto', 'text', 'json', 'jsonl', 'csv', 'tsv', 'parquet'] as const;
