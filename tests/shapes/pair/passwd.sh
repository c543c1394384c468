echo {{akia}}:{{secret}} > ~/.passwd-s3fs
chmod 600 ~/.passwd-s3fs
