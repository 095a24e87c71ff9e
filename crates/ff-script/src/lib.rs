//! The wire of the Valkey backend: the library, the reply decoder, the code table.
