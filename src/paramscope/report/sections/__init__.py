"""The sections of the page: what each shows, as words, tables and charts."""
