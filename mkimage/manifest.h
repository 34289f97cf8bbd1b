/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* A generation's manifest.json (doc/store.md), read and held against the files it tells of. */
#include <jansson.h>
#include "libssi/base/buf.h"
#include "libssi/base/err.h"

#define MANIFEST_FORMAT 1

/* Read the one in a generation's folder; a new reference in *ret. -EBADMSG when it is none or of another format. */
int manifest_load(const char *dir, json_t **ret, struct ssi_err *e);
/* Hold everything against it: the folder's name, every file's size and digest, the verity tree. Each fault is a line in faults; how many, or -errno. */
int manifest_verify(const char *dir, const char *id, struct ssi_buf *faults, struct ssi_err *e);
