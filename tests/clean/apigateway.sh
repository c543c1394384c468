aws apigateway get-usage-plan-key --usage-plan-id a1b2c3 --key-id {{base62:40}}
aws apigateway update-api-key --api-key {{base62:40 b}}
