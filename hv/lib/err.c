/* SPDX-License-Identifier: MIT */
/* The names of the error numbers. */
#include <tern/err.h>

const char *err_name(int err)
{
	switch (err) {
	case TERN_EPERM:
		return "EPERM";
	case TERN_ENOENT:
		return "ENOENT";
	case TERN_EIO:
		return "EIO";
	case TERN_E2BIG:
		return "E2BIG";
	case TERN_EAGAIN:
		return "EAGAIN";
	case TERN_ENOMEM:
		return "ENOMEM";
	case TERN_EFAULT:
		return "EFAULT";
	case TERN_EBUSY:
		return "EBUSY";
	case TERN_EEXIST:
		return "EEXIST";
	case TERN_ENODEV:
		return "ENODEV";
	case TERN_EINVAL:
		return "EINVAL";
	case TERN_ENOSPC:
		return "ENOSPC";
	case TERN_ERANGE:
		return "ERANGE";
	case TERN_ENOSYS:
		return "ENOSYS";
	case TERN_ETIMEDOUT:
		return "ETIMEDOUT";
	default:
		return "E?";
	}
}
