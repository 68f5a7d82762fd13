/* cli/compat_file.h — what compat fit, map and eval read: maps, vectors, and
 * the names of models that they belong to. */
#ifndef LINKD_CLI_COMPAT_FILE_H
#define LINKD_CLI_COMPAT_FILE_H

#include "compat/compat.h"

/* LINKD_E_IO; LINKD_E_DATA: it is no map, or damaged. Both name the file. */
LINKD_MUST_CHECK int lk_compat_map_load(const char *path,
                                        linkd_compat_map **ret_map,
                                        linkd_error *err);

/* lk_vectors_load() of rows that get length 1. LINKD_E_DATA names file and row. */
LINKD_MUST_CHECK int lk_compat_rows_load(const char *path, linkd_rows *ret_rows,
                                         float **ret_data, linkd_error *err);

/* A map is of models by what a user calls them: ret is a name of up to 32 bytes
 * as it is, with zeros behind it, or 32 digits of a longer one's hash. A model
 * of the store may be called by its fingerprint, which has 32 digits. NULL: all
 * zero, unknown. */
void lk_compat_name_put(const char *name,
                        unsigned char ret[LINKD_FINGERPRINT_BYTES]);

/* The map at `path` is from and to the models of these names, NULL where any
 * will do. LINKD_E_DATA: it is not, or does not say. */
LINKD_MUST_CHECK int lk_compat_names_check(const char *path,
                                           const linkd_compat_map *map,
                                           const char *from, const char *to,
                                           linkd_error *err);

/* The map takes rows of this file. LINKD_E_ARG: they have other dimensions. */
LINKD_MUST_CHECK int lk_compat_rows_check(const char *path,
                                          const linkd_compat_map *map,
                                          const char *rows_path,
                                          const linkd_rows *rows,
                                          linkd_error *err);

#endif
