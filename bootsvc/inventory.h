/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* A node's inventory as JSON: in the store, and in the answers of the control socket. */
#include <jansson.h>
#include "ssi/membership/inventory.h"

json_t *inventory_json(const struct ssi_inventory *v);              /* the caller's; NULL = out of memory */
char *inventory_format(const struct ssi_inventory *v);              /* as text, the caller's; NULL = out of memory */
/* What format wrote; anything else (NULL too) gives an empty one. */
void inventory_parse(const char *text, struct ssi_inventory *ret);
