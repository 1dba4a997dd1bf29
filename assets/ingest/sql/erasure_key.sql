select key from ops.erasure_key
