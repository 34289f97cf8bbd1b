/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The recipe reader, with whatever a file may hold: it ends, and either gives a recipe or says why not. */
#include <stdint.h>
#include <stdlib.h>
#include "mkimage/recipe.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_buf_ struct ssi_buf errors = SSI_BUF_INIT;
	_cleanup_recipe_ struct recipe *r = NULL;
	int err = recipe_parse("x/fuzz.ini", (const char *)data, size, &r, &errors);

	if ((err == 0) != (r != NULL) || (err < 0 && !errors.len))
		abort();
	if (r)
		json_decref(recipe_json(r));
	return 0;
}
