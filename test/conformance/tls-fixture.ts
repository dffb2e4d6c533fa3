/**
 * A self-signed certificate for `localhost` and 127.0.0.1, made for these tests only and trusted by nobody. It is kept
 * here because Node cannot make one and openssl is not on every machine. Valid for a hundred years.
 */
export const TEST_KEY = `-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgVUzpLuMQ5o/s9IKh
Aqgs3SnZqcKe/NgpymMfMkksuqShRANCAASEJrEXwJCFajZsnc4J1mUiBBZjyLVt
T0HflERyr2Y73yaWcf3xUMq2XJ4m/jJ3KN6DTjzI3c1Sk3vwxT+GX3d1
-----END PRIVATE KEY-----`;

export const TEST_CERTIFICATE = `-----BEGIN CERTIFICATE-----
MIIBmzCCAUGgAwIBAgIUe8fChw7gRVN9ZFGDbpXVcZwNqKQwCgYIKoZIzj0EAwIw
FDESMBAGA1UEAwwJbG9jYWxob3N0MCAXDTI2MTEyMTIzMDUzMVoYDzIxMjYxMDI4
MjMwNTMxWjAUMRIwEAYDVQQDDAlsb2NhbGhvc3QwWTATBgcqhkjOPQIBBggqhkjO
PQMBBwNCAASEJrEXwJCFajZsnc4J1mUiBBZjyLVtT0HflERyr2Y73yaWcf3xUMq2
XJ4m/jJ3KN6DTjzI3c1Sk3vwxT+GX3d1o28wbTAdBgNVHQ4EFgQUTok11tXZPs2R
vW2nzJ5eQAFbCakwHwYDVR0jBBgwFoAUTok11tXZPs2RvW2nzJ5eQAFbCakwDwYD
VR0TAQH/BAUwAwEB/zAaBgNVHREEEzARgglsb2NhbGhvc3SHBH8AAAEwCgYIKoZI
zj0EAwIDSAAwRQIhAIdZwNbjvuGX/hGvrEL/S2jL//aGODbXxDM6vP7179vgAiB6
rMTEENVtab/Kc3aJ5fZc5XyKNrEKNnVEUGfxL2SZCQ==
-----END CERTIFICATE-----`;
