conn = connect('{{akia}}', '{{secret}}')
