#!/bin/sh
# Takes out of a virtual environment what drainlake never uses at run time: slim.sh /opt/drainlake
set -eu
packages=$(echo "$1"/lib/python3*/site-packages)

# Tests, and what other programs are compiled against.
find "$packages" -depth -type d \( -name tests -o -name include \) -exec rm -rf {} +
find "$packages" -type f \( -name '*.pyi' -o -name '*.pyx' -o -name '*.pxd' -o -name '*.h' -o -name '*.a' \) -delete

# Arrow's network service and its own client of S3: no module of ours imports them.
rm -f "$packages"/pyarrow/libarrow_flight.so* "$packages"/pyarrow/libarrow_python_flight.so* \
  "$packages"/pyarrow/_flight.*.so "$packages"/pyarrow/libarrow_s3.so* "$packages"/pyarrow/_s3fs.*.so

# boto3 finds credentials for S3, by way of STS and single sign-on; it knows 400 more services of AWS.
for service in "$packages"/botocore/data/*/; do
  case $(basename "$service") in
    s3 | sts | sso | sso-oidc | signin) ;;
    *) rm -rf "$service" ;;
  esac
done
