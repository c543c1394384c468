AWS_ACCESS_KEY_ID={{akia}} AWS_SECRET_ACCESS_KEY={{secret}} aws s3 ls
