/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* What this machine does, read from /proc once a second: cheap, its files stay open. */
#include "libssi/base/buf.h"
#include "libssi/model/loadtable.h"
#include "ssi/membership/inventory.h"

struct load_reader;
/* proc, sys: open folders, borrowed. */
int load_reader_new(int proc, int sys, struct load_reader **ret);
void load_reader_free(struct load_reader *r);
/* Now. inventory: which NUMA nodes there are. *ret is borrowed until the next call. A file that is not there leaves its values 0. 0 or -errno. */
int load_read(struct load_reader *r, const struct ssi_inventory *inventory, const struct ssi_load **ret);
